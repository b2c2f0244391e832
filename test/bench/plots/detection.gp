set xlabel 'milliseconds'
set ylabel 'share done'
set xrange [0:]
set yrange [0:1]
plot 'alter' with steps linestyle 2 title 'ALTER EXTENSION UPDATE alone', \
     'ours' with steps linestyle 1 title 'from the change of the resource to the commit'

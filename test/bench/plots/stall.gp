set xlabel 'wait, in milliseconds'
set ylabel 'share of statements that waited longer'
set logscale xy
set format x '%g'
set format y '%g'
set xrange [1:]
plot 'none' with lines linestyle 3 title 'no upgrade', \
     'alter' with lines linestyle 2 title 'ALTER EXTENSION UPDATE', \
     'ours' with lines linestyle 1 title 'documentdb\_upgrade'

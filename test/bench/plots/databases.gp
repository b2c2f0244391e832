set xlabel 'databases served'
set ylabel 'processor time a minute, ms'
set y2label 'memory, MB'
set y2tics
set border 11
set rmargin 10
set logscale xyy2
set format x '%.0f'
set format y '%.0f'
set format y2 '%.0f'
plot 'time' with linespoints linestyle 1 title 'processor time, idle', \
     'memory' axes x1y2 with linespoints linestyle 2 title 'private memory'

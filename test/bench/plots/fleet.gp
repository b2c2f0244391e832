set xlabel 'standbys'
set ylabel 'processor time a minute, ms'
set logscale xy
set format x '%.0f'
set format y '%.0f'
plot 'connecting' with linespoints linestyle 3 title 'as many sessions that do nothing', \
     'reports' with linespoints linestyle 1 title 'reports of the standbys'

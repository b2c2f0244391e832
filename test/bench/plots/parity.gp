set xlabel 'rows of the table'
set ylabel 'rows compared in a second'
set logscale xy
set format x '%.0f'
set format y '%.0f'
plot 'one' with linespoints linestyle 3 title 'compare\_with(), 1 worker', \
     'two' with linespoints linestyle 1 title 'compare\_with(), 2 workers', \
     'md5' with linespoints linestyle 2 title "md5(string\\_agg(t::text, '' ORDER BY id))"

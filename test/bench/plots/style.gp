# What the plots have in common; test/bench/report.sh sets the file to write.
set terminal svg size 720,360 font 'sans-serif,13' background '#ffffff'
set border 3 linecolor '#666666'
set tics nomirror textcolor '#333333'
set grid linecolor '#e0e0e0' linetype 1
set key outside top center horizontal samplen 2
set rmargin 6
set style line 1 linecolor '#1a5fb4' linewidth 2.5 pointtype 7 pointsize 0.6
set style line 2 linecolor '#c64600' linewidth 2.5 pointtype 5 pointsize 0.6
set style line 3 linecolor '#777777' linewidth 2 dashtype 2 pointtype 9 pointsize 0.6

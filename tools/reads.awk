# One rule for make from each name in backquotes under "Reads:" in a script's first cell:
# out/03_load_checkpoint/run.json:data/pima-indians-diabetes.csv. What another script has written
# in out/ depends on that script's run.json.

FNR == 1 {
    name = FILENAME
    sub(/.*\//, "", name)
    sub(/\.py$/, "", name)
    quotes = 0
    reading = 0
}

/^"""/ { quotes++ }

quotes != 1 { next }

/^- [A-Z][a-z]*:/ { reading = /^- Reads:/ }

reading {
    line = $0
    while (match(line, /`[^`]+`/)) {
        file = substr(line, RSTART + 1, RLENGTH - 2)
        line = substr(line, RSTART + RLENGTH)
        if (file ~ /^data\//) {
            print "out/" name "/run.json:" file
        } else if (file ~ /^out\//) {
            split(file, parts, "/")
            if (parts[2] != name) print "out/" name "/run.json:out/" parts[2] "/run.json"
        }
    }
}

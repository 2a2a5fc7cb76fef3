package csv

// candidates are the delimiters that are tried, in the order that settles
// ties.
var candidates = [...]byte{',', ';', '\t', '|'}

// Sniff guesses the delimiter of a head of delimited text: the one that cuts
// most of the lines into the same number of fields, more fields first. Without
// any of the candidates it is a comma: one column.
func Sniff(head []byte, quote byte) byte {
	best, bestScore := byte(','), 0.0
	for _, d := range candidates {
		widths := fieldCounts(head, d, quote)
		if len(widths) == 0 {
			continue
		}
		first := widths[0]
		same := 0
		for _, w := range widths {
			if w == first {
				same++
			}
		}
		if first < 2 {
			continue
		}
		share := float64(same) / float64(len(widths))
		// Equal widths decide; the number of fields only between candidates
		// that are about equally regular.
		if score := share*1000 + float64(min(first, 500)); score > bestScore {
			best, bestScore = d, score
		}
	}
	return best
}

// fieldCounts returns the number of fields of each complete line of the head.
func fieldCounts(head []byte, d, quote byte) []int {
	var widths []int
	fields, content, quoted := 1, false, false
	for i, b := range head {
		switch {
		case b == quote:
			if !quoted && (i == 0 || head[i-1] == d || head[i-1] == '\n' || head[i-1] == '\r') {
				quoted = true
			} else if quoted {
				quoted = false
			}
			content = true
		case quoted:
		case b == d:
			fields++
			content = true
		case b == '\n' || b == '\r':
			if content {
				widths = append(widths, fields)
			}
			fields, content = 1, false
			if len(widths) == 200 {
				return widths
			}
		default:
			content = true
		}
	}
	if len(widths) == 0 && content {
		widths = append(widths, fields)
	}
	return widths
}

package drift

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

const (
	maxMoves = 10

	// maxLabelText is the most characters of a text in a label.
	maxLabelText = 60
)

// moves returns the bins by their part in the distance.
func moves(m Method, cells []cell, n, batch float64) []Move {
	term := moveTerm
	switch m {
	case MethodPSI:
		term = psiTerm
	case MethodJS:
		term = jsTerm
	case MethodHellinger:
		term = hellingerTerm
	case MethodChi2:
		term = func(p, q float64) float64 { return chiTerm(pooled(p, q, n, batch), p-q, n, batch) }
	default:
	}
	var whole float64
	for _, c := range cells {
		whole += term(c.p, c.q)
	}
	if whole <= 0 {
		return nil
	}
	digits := enoughDigits(cells)
	var out []Move
	for i, c := range cells {
		part := term(c.p, c.q) / whole
		if part <= 0 {
			continue
		}
		move := Move{Label: c.label(digits), Low: c.low, High: c.high, Baseline: c.p, Batch: c.q, Part: part}
		if rest := i == len(cells)-1; math.IsNaN(c.low) && !rest {
			move.Text, move.Label = c.text, textLabel(c.text)
		}
		out = append(out, move)
	}
	slices.SortStableFunc(out, func(a, b Move) int { return cmp.Compare(b.Part, a.Part) })
	return slices.Clip(out[:min(maxMoves, len(out))])
}

func textLabel(text string) string {
	if r := []rune(text); len(r) > maxLabelText {
		text = string(r[:maxLabelText]) + "…"
	}
	return "value " + strconv.Quote(text)
}

func (c cell) label(digits int) string {
	switch {
	case math.IsNaN(c.low):
		return "all others"
	case c.low == c.high:
		return number(c.low, digits)
	case math.IsInf(c.low, -1) && math.IsInf(c.high, 1):
		return "all values"
	case math.IsInf(c.low, -1):
		return "< " + number(c.high, digits)
	case math.IsInf(c.high, 1):
		return "≥ " + number(c.low, digits)
	}
	return number(c.low, digits) + " … " + number(c.high, digits)
}

// enoughDigits returns how many digits tell the ends of all bins apart, at
// least 6.
func enoughDigits(cells []cell) int {
	for digits := 6; digits < 17; digits++ {
		texts := map[string]float64{}
		clash := false
		for _, c := range cells {
			text := number(c.low, digits)
			if other, ok := texts[text]; ok && other != c.low && !math.IsNaN(c.low) {
				clash = true
			}
			texts[text] = c.low
		}
		if !clash {
			return digits
		}
	}
	return 17
}

func number(x float64, digits int) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', digits, 64)
}

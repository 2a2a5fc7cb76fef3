package diag

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxNearestLength is the length in characters above which a word is a text
// and no longer a misspelled name.
const maxNearestLength = 64

// maxDistance is the largest accepted number of edits.
const maxDistance = 3

// Hint returns `did you mean "max"?` if one of the candidates is close to the
// word, else the empty string.
func Hint(word string, candidates []string) string {
	if best, ok := Nearest(word, candidates); ok {
		return `did you mean "` + best + `"?`
	}
	return ""
}

// Nearest returns the candidate that the writer of a misspelled word probably
// meant. Case and the difference between "-", "_" and a space do not count. A
// word that is the beginning of a candidate (or the other way round) is close
// too. Otherwise the distance is the number of inserted, deleted, replaced and
// swapped characters (Damerau 1964, Levenshtein 1966, in the variant "optimal
// string alignment"), at most 1 for words up to 3 characters, 2 up to 6, and 3
// above. Among equally close candidates the first in the list wins. A
// word that is one of the candidates is not misspelled and has no suggestion.
func Nearest(word string, candidates []string) (string, bool) {
	if n := utf8.RuneCountInString(word); n == 0 || n > maxNearestLength || slices.Contains(candidates, word) {
		return "", false
	}
	w := fold(word)
	best, bestScore, found := "", 0, false
	for _, c := range candidates {
		if c == "" || utf8.RuneCountInString(c) > maxNearestLength {
			continue
		}
		score, ok := closeness(w, fold(c))
		if ok && (!found || score < bestScore) {
			best, bestScore, found = c, score, true
		}
	}
	return best, found
}

func fold(s string) []rune {
	return []rune(strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(strings.TrimSpace(s))))
}

// closeness returns a score, lower is closer. Edits count 4 each; a shared
// beginning counts a little less than one or two edits, whatever the rest.
func closeness(word, candidate []rune) (int, bool) {
	score, ok := 0, false
	if far := len(word) - len(candidate); far <= maxDistance && -far <= maxDistance {
		d := distance(word, candidate)
		if d == 0 {
			return 0, true
		}
		score, ok = 4*d, d <= limit(word, candidate, d)
	}
	if prefix := prefixScore(word, candidate); prefix > 0 && (!ok || prefix < score) {
		return prefix, true
	}
	return score, ok
}

func prefixScore(word, candidate []rune) int {
	w, c := string(word), string(candidate)
	switch {
	case len(word) >= 2 && strings.HasPrefix(c, w):
		return 6
	case len(candidate) >= 3 && strings.HasPrefix(w, c):
		return 7
	}
	return 0
}

// limit returns the largest accepted distance. Two edits in a short word leave
// little of it, so its first character has to agree.
func limit(word, candidate []rune, d int) int {
	switch n := len(word); {
	case n <= 1:
		return 0
	case n <= 3:
		return 1
	case n <= 5:
		if d == 2 && (len(candidate) == 0 || word[0] != candidate[0]) {
			return 1
		}
		return 2
	case n <= 6:
		return 2
	}
	return maxDistance
}

func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

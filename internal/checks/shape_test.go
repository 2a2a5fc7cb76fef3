package checks

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShapesOfExpressions(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{
		"^D[0-9]{6}$", "^[A-Z]{2}\\d+$", "^a", "^abc$", "^[a-f0-9]{2,4}-x?$", "^(ab)c*$", "^(?i)ab$", "^x*y*z+$", "^[ab]{0,2}$", "^\\d{4}-\\d{2}-\\d{2}$",
	} {
		require.NotNil(t, shapeOf(expr), expr)
	}
	for _, expr := range []string{
		"a", "a$", "^$", "^a|b$", "^a*a$", "^a{1,3}[ab]$", "^.*$", "^[^a]$", "^é$", "^(?i)k$", "^a??$", "^(ab)*$", "(?m)^a$", "^\\bab$", "^x*y*x$", "^a$b", "(",
	} {
		require.Nil(t, shapeOf(expr), expr)
	}
}

// TestShapeIsExpression builds expressions of pieces and asks both about texts.
func TestShapeIsExpression(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "ab", "[ab]", "[b-d]", "\\d", "[0-9a]", "(a)", "-", "(?i:b)"}
	counts := []string{"", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "{0}"}
	alphabet := []string{"a", "b", "c", "B", "0", "9", "-", "é", "\xff", "\n"}
	shaped := 0
	for range 3000 {
		expr := "^"
		for range 1 + rng.IntN(4) {
			expr += pieces[rng.IntN(len(pieces))] + counts[rng.IntN(len(counts))]
		}
		if rng.IntN(3) > 0 {
			expr += "$"
		}
		s := shapeOf(expr)
		if s == nil {
			continue
		}
		shaped++
		re := regexp.MustCompile(expr)
		for range 60 {
			var b strings.Builder
			for range rng.IntN(8) {
				b.WriteString(alphabet[rng.IntN(len(alphabet))])
			}
			require.Equal(t, re.MatchString(b.String()), s.match([]byte(b.String())), "%s on %q", expr, b.String())
		}
	}
	require.Greater(t, shaped, 500)
}

func BenchmarkShape(b *testing.B) {
	text := []byte("D012345")
	re := regexp.MustCompile("^D[0-9]{6}$")
	b.Run("expression", func(b *testing.B) {
		for b.Loop() {
			re.Match(text)
		}
	})
	s := shapeOf("^D[0-9]{6}$")
	b.Run("shape", func(b *testing.B) {
		for b.Loop() {
			s.match(text)
		}
	})
}

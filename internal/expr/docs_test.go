package expr_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/expr"
)

func TestEveryFunctionIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/format/expressions.md")
	require.NoError(t, err)
	for _, f := range expr.Functions() {
		require.Contains(t, string(text), "| `"+f.Usage+"` | "+f.Summary+" |\n")
		require.True(t, strings.HasPrefix(f.Usage, f.Name+"("))
	}
}

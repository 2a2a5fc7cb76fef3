package profile

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

func TestMeaningFormsCanonicalText(t *testing.T) {
	t.Parallel()
	values := []batch.Value{{Type: batch.Boolean}, {Type: batch.Boolean, Int: 1}, {Type: batch.Struct}}
	for _, x := range []int64{0, 1, -1, 7_123_456_789, math.MinInt64, math.MaxInt64, 1_764_456_789_123_456} {
		for _, typ := range []batch.Type{batch.Integer, batch.Date, batch.Timestamp, batch.Time, batch.Duration, batch.List} {
			values = append(values, batch.Value{Type: typ, Int: x})
		}
		values = append(values, batch.Value{Type: batch.Timestamp, Int: x, Float: 999})
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 3, -2.5, 0.1, 1e300, 5e-324, 1 << 63, math.Inf(-1), math.NaN()} {
		values = append(values, batch.Value{Type: batch.Number, Float: f})
	}
	for _, v := range values {
		want := canonical(v, v.Type).AppendText([]byte("before "), false)
		require.Equal(t, string(want), string(formMeaning([]byte("before "), appendMeaning(nil, v, nil))), "%+v", v)
	}
	binary := batch.Value{Type: batch.Binary}
	for _, text := range []string{"", "\x00\xff", strings.Repeat("b", 300)} {
		require.Equal(t, string(cutText([]byte(text))), string(formMeaning(nil, appendMeaning(nil, binary, []byte(text)))))
	}
}

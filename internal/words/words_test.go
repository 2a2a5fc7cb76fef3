package words_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/words"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0": words.Count(0), "999": words.Count(999), "1,000": words.Count(1000), "-100": words.Count(-100), "-1,234": words.Count(-1234), "-1,234,567": words.Count(int64(-1234567)),
		"1 row": words.Things(1, "row"), "0 rows": words.Things(0, "row"), "1,000 rows": words.Things(1000, "row"), "2 batches": words.Plural(2, "batch", "batches"),
		"0 %": words.Percent(0), "<0.1 %": words.Percent(0.00001), "0.2 %": words.Percent(0.002), "5.5 %": words.Percent(0.055), "46 %": words.Percent(0.456),
		"99.9 %": words.Percent(0.999), ">99.9 %": words.Percent(0.99999), "100 %": words.Percent(1), "1,250 %": words.Percent(12.5),
		"1 byte": words.Size(1), "1,023 bytes": words.Size(1023), "1.0 KiB": words.Size(1024), "1.0 MiB": words.Size(1<<20 - 1), "8.0 EiB": words.Size(1<<63 - 1),
		"12.37": words.Number(12.3701), "0.001235": words.Number(0.00123456), "1.235e-05": words.Number(0.0000123456), "2013": words.Number(2013),
		"12,346": words.Number(12345.6), "1,234.6": words.Number(1234.56), "-0.5": words.Number(-0.5), "1.5e+12": words.Number(1.5e12), "10,000,000": words.Number(1e7),
		"-84.86": words.Number(-84.861), "-12,345": words.Number(-12345), "1e+300": words.Group("1e+300"),
	} {
		require.Equal(t, want, got)
	}
}

package answers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/answers"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, errs := answers.Parse("incidents.yaml", []byte(`version: 1
incidents:
  - {dataset: shop/orders, from: 2026-02-10, to: 2026-02-12, as: real, by: ann, note: the export ran twice}
  - {dataset: orders, from: "2026-02-11T06:00:00Z", as: fine}
`))
	require.Empty(t, errs)
	day := time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC)
	require.Equal(t, "real", answers.Of(got, "shop/orders", day).As)
	require.NotNil(t, answers.Of(got, "shop/orders", day.AddDate(0, 0, 2).Add(23*time.Hour)))
	require.Nil(t, answers.Of(got, "shop/orders", day.AddDate(0, 0, 3)))
	require.Nil(t, answers.Of(got, "shop/other", day))
	require.Equal(t, "fine", answers.Of(got, "default/orders", day.Add(30*time.Hour)).As)
	require.Nil(t, answers.Of(got, "default/orders", day.Add(31*time.Hour)))
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	_, errs := answers.Parse("incidents.yaml", []byte(`version: 2
incidents:
  - {dataset: a, from: tomorrow, as: rael}
  - {dataset: a, from: 2026-02-10, to: 2026-02-01, as: fine}
  - {datset: a, from: 2026-02-10, as: fine}
`))
	var text string
	for _, e := range errs {
		text += e.Error() + "\n"
	}
	require.Contains(t, text, "incidents.yaml:1:10: version 2 is not known")
	require.Contains(t, text, `incidents.yaml:3:24: expected a day or a time such as 2026-03-01`)
	require.Contains(t, text, `did you mean "real"?`)
	require.Contains(t, text, "incidents.yaml:4:24: it ends before it begins")
	require.Contains(t, text, `did you mean "dataset"?`)
}

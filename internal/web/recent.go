package web

import (
	"context"
	"slices"

	"github.com/profilerhq/profiler/internal/store"
)

// Recent returns batches of a dataset that are not superseded, newest first:
// it passes over skip of those that the query finds and returns at most n. more
// says that there are others. All and Limit of the query are not looked at. A
// dataset that only was the input of steps shows these. The caller owns the
// slice.
func Recent(ctx context.Context, h History, q store.Query, skip, n int) (batches []store.Batch, more bool, err error) {
	q.All = true
	for q.Limit = skip + n + 1; ; q.Limit *= 2 {
		found, err := h.Batches(ctx, q)
		if err != nil {
			return nil, false, err
		}
		complete := len(found) < q.Limit
		kept := slices.DeleteFunc(found, func(b store.Batch) bool { return !b.SupersededAt.IsZero() })
		switch {
		case len(kept) > skip+n:
			return kept[skip : skip+n], true, nil
		case !complete:
			continue
		case len(found) == 0 && !q.Input:
			q.Input, q.Limit = true, (skip+n+1)/2+1
			continue
		}
		return kept[min(skip, len(kept)):], false, nil
	}
}

// oldestFirst returns a copy in the order of charts.
func oldestFirst(batches []store.Batch) []store.Batch {
	out := slices.Clone(batches)
	slices.Reverse(out)
	return out
}

// Package anomaly decides whether a batch looks wrong, from profiles alone: one
// decision for a dataset and a batch, all columns together. It does no I/O,
// reads no clock, and equal input gives equal bytes. docs/design/detection.md
// tells why it is as it is.
//
// A State is what was learned of one dataset. It is a fold over batches in the
// order of their times:
//
//	state := anomaly.NewState()
//	for _, b := range batches {
//		f := anomaly.Extract(b.Profile, b.At)        // features, once for a profile
//		d := state.Judge(f, options)                 // reads the state alone
//		state.Add(b.ID, f, options, d, b.Label)      // learns, or holds the batch out
//	}
//
// Judge never changes the state, so that any number of broken copies of a batch
// can be judged against one frozen state:
//
//	d := state.Judge(anomaly.Extract(broken, at), anomaly.Options{Preset: anomaly.Normal})
//	if d.Status == anomaly.Fail { … }
//
// Clone gives an independent copy and Encode the bytes that Decode reads. Judge
// may be called by several goroutines while nobody calls Add.
//
// Decision.Status is what people see (fail is a page), Decision.Score is the
// number behind it: G of lane 2 where that judges, else what the lanes 0 and 1
// found in the same unit, so that one threshold can be swept over it. A page
// that goes on an earlier one has Decision.Continues.
package anomaly

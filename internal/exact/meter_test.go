package exact_test

import (
	"sync/atomic"

	"github.com/profilerhq/profiler/internal/exact"
)

// meter counts what goes to a disk.
type meter struct {
	exact.Spill
	open    *atomic.Int64
	files   *atomic.Int64
	largest *atomic.Int64 // end of the longest file
}

func measured(s exact.Spill) meter {
	return meter{s, new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)}
}

func (m *meter) Create() (exact.File, error) {
	f, err := m.Spill.Create()
	if err != nil {
		return nil, err
	}
	m.open.Add(1)
	m.files.Add(1)
	return &meteredFile{f, m}, nil
}

type meteredFile struct {
	exact.File
	m *meter
}

func (f *meteredFile) WriteAt(b []byte, at int64) (int, error) {
	f.m.largest.Store(max(f.m.largest.Load(), at+int64(len(b))))
	return f.File.WriteAt(b, at)
}

func (f *meteredFile) Close() error {
	f.m.open.Add(-1)
	return f.File.Close()
}

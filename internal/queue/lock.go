package queue

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrBusy means that another process holds the units of an SQLite file.
var ErrBusy = errors.New("another process works on the units")

// Alone reports whether only one process at a time can work on units: on SQLite,
// whose clock for leases is that process's.
func (q *Queue) Alone() bool { return !q.db.Dialect.IsPostgres() }

// Lock takes the exclusive right to work on the units of an SQLite file, by a
// lock on a file beside it. The system gives it up when the process ends in
// whatever way. On Postgres, and for a database in memory, there is nothing to
// lock. The error is ErrBusy if another process has it.
func (q *Queue) Lock() (unlock func(), err error) {
	path := q.db.Path()
	if path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(path+"-work", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the units of %s: %w", q.db, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrBusy
		}
		return nil, fmt.Errorf("lock the units of %s: %w", q.db, err)
	}
	return func() {
		// Closing is not enough: a process that another goroutine is just forking
		// has the lock too until it executes its program.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		f.Close()
	}, nil
}

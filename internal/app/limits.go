package app

import (
	"log/slog"
	"sync"

	"github.com/profilerhq/profiler/internal/cgroup"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/runner"
)

// limits are the control groups of this process, made when the first pipeline
// wants them.
type limits struct {
	mu     sync.Mutex
	opened bool
	tree   *cgroup.Tree
}

// of returns the groups for a pipeline, nil if it needs none or this process may
// not have any. What was found out is logged once.
func (l *limits) of(p *pipeline.Pipeline, log *slog.Logger) *cgroup.Tree {
	if !runner.Limited(p) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened {
		return l.tree
	}
	l.opened = true
	t, err := cgroup.Open()
	if err != nil {
		log.Info("resources of steps are limited for each process by rlimit, not by control groups", "why", err)
		return nil
	}
	l.tree = t
	log.Info("resources of steps are limited by control groups", "dir", t.Dir(), "cpu", t.LimitsCPU())
	return t
}

func (l *limits) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tree == nil {
		return nil
	}
	t := l.tree
	l.tree = nil
	return t.Close()
}

package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
)

// Keys is where the key of sensitive columns comes from: a secret that is
// given, else the store, else chance. The apps of one run share it, so that what
// they profile can be compared. It is safe for concurrent use.
type Keys struct {
	secret   string
	mu       sync.Mutex
	key      *profile.Key
	isOwn    bool
	readOnly bool
}

// NewKeys returns the keys of a secret, which may be empty. readOnly leaves a
// store that has none without.
func NewKeys(secret string, readOnly bool) *Keys { return &Keys{secret: secret, readOnly: readOnly} }

// secretName is that of the key in the store.
const secretName = "sensitive-key"

// of returns the key; s is nil without a store.
func (k *Keys) of(ctx context.Context, s *store.Store) (*profile.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	secret := []byte(k.secret)
	if len(secret) == 0 {
		fresh := make([]byte, 32)
		if _, err := rand.Read(fresh); err != nil {
			return nil, fmt.Errorf("make a random key: %w", err)
		}
		var err error
		if secret, err = k.stored(ctx, s, fresh); err != nil {
			return nil, err
		}
		if secret == nil {
			secret, k.isOwn = fresh, s == nil
		}
	}
	key, err := profile.NewKey(secret)
	k.key = key
	return key, err
}

func (k *Keys) stored(ctx context.Context, s *store.Store, fresh []byte) ([]byte, error) {
	if s == nil {
		return nil, nil
	}
	if k.readOnly {
		fresh = nil
	}
	secret, err := s.Secret(ctx, secretName, fresh)
	if err != nil {
		return nil, &StoreError{err}
	}
	return secret, nil
}

// Own reports whether sensitive columns were hashed with a key that no other
// run will have.
func (k *Keys) Own() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.isOwn
}

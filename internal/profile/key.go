package profile

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// Masked stands for a value of a sensitive column wherever one would be shown.
const Masked = "***"

// ErrKey says that values were hashed with different keys, or on one side with
// none, so that they cannot be compared or merged.
var ErrKey = errors.New("profiles of different keys")

// Key hashes the values of sensitive columns. Equal keys, made of equal secrets,
// give equal values equal hashes on every machine; without the key a hash tells
// nothing of its value, not even to somebody who tries all that it could be.
//
// The hash is HMAC-SHA-256 (RFC 2104), cut to 64 bits, of the 64-bit identity
// of a value.
type Key struct {
	id     string
	secret []byte
}

// stretching is how often a secret is hashed to make the key of it: PBKDF2 (RFC
// 8018), so that a short secret is not found by its id in no time.
const stretching = 1 << 15

// NewKey returns the key that is made of a secret of any length.
func NewKey(secret []byte) (*Key, error) {
	k, err := pbkdf2.Key(sha256.New, string(secret), []byte("profiler sensitive key"), stretching, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("make the key of sensitive columns: %w", err)
	}
	m := hmac.New(sha256.New, k)
	m.Write([]byte{domainID})
	return &Key{id: hex.EncodeToString(m.Sum(nil)[:8]), secret: k}, nil
}

// RandomKey returns a key that no other run has.
func RandomKey() (*Key, error) {
	secret := make([]byte, sha256.Size)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make a random key: %w", err)
	}
	return NewKey(secret)
}

// ID names the key without telling it.
func (k *Key) ID() string { return k.id }

// What is hashed, so that equal numbers of different meaning do not meet.
const (
	domainValue = iota
	domainRow
	domainID
)

// hasher hashes with a key; it is for one goroutine.
type hasher struct {
	mac hash.Hash
	in  [9]byte
	out [sha256.Size]byte
}

func (k *Key) hasher() *hasher { return &hasher{mac: hmac.New(sha256.New, k.secret)} }

// emptyText is the identity of the empty text, which has nothing to hide.
var emptyText = hashText(nil)

// value returns the hash of an identity, which stands for it everywhere.
func (h *hasher) value(identity uint64) uint64 {
	if identity == emptyText {
		return identity
	}
	return h.sum(domainValue, identity)
}

func (h *hasher) sum(domain byte, x uint64) uint64 {
	h.in[0] = domain
	binary.LittleEndian.PutUint64(h.in[1:], x)
	h.mac.Reset()
	h.mac.Write(h.in[:])
	return binary.LittleEndian.Uint64(h.mac.Sum(h.out[:0]))
}

// rows replaces the hashes of rows.
func (h *hasher) rows(hashes []uint64) {
	for i, x := range hashes {
		hashes[i] = h.sum(domainRow, x)
	}
}

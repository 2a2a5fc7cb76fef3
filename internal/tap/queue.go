package tap

import (
	"sync"
	"time"
)

// BlockBytes is the size of the blocks in which bytes are read and handed on.
const BlockBytes = 256 << 10

// minRead is the least room of a block that is worth a read: what a pipe holds
// on Linux.
const minRead = 64 << 10

// block is a piece of memory that the copying fills and the profile reads
// without a copy. Fields but buf belong to the queue's lock.
type block struct {
	buf  []byte
	used int // filled so far
	refs int // items that stand on it, and the copying while it fills it
}

// item is one thing that happens to the stream, in its order.
type item struct {
	kind     itemKind
	block    *block // data: bytes from … to of it
	from, to int
	bytes    int64     // gap: how many were left out
	moves    moves     // gap: what they do to the state of the scanner
	pos      int64     // data: of from in the stream, set by the reader
	at       time.Time // tick: when
	err      error     // end: nil at the end of the input
}

type itemKind uint8

const (
	itemData itemKind = iota
	itemGap           // bytes that were left out because the queue was full
	itemTick          // a window ends here
	itemEnd
)

// queue is what lies between the copying and the profile: blocks of a bounded
// total size. One goroutine writes it (space, commit, finish), one reads it
// (pop, release); tick, abandon and abort may be called by any.
type queue struct {
	size  int  // of a block in bytes
	least int  // room of a block that is worth a read
	limit int  // blocks
	wait  bool // a full queue waits instead of leaving bytes out
	sniff func(head []byte) form

	// Of the writing goroutine.
	cur   *block
	spare []byte // read into when there is no block

	mu        sync.Mutex
	news      sync.Cond // for the reader: items, settled, aborted
	room      sync.Cond // for the writer: free, abandoned, aborted
	items     []item
	free      []*block
	made      int  // blocks that exist
	leaving   bool // bytes are left out until half of the blocks are free
	head      []byte
	settled   bool // form is known
	form      form
	abandoned bool  // nobody reads any more
	aborted   error // the tap is over
	total     int64 // bytes committed
}

func newQueue(bytes, size int, wait bool, sniff func([]byte) form) *queue {
	q := &queue{size: size, least: min(minRead, size), limit: max(2, bytes/size), wait: wait, sniff: sniff}
	q.news.L, q.room.L = &q.mu, &q.mu
	return q
}

// space returns the memory to read the next bytes into, of at least minRead
// bytes; it belongs to the caller until commit. Without a free block it is
// memory that commit leaves out of the queue, or with wait it comes when there
// is one.
func (q *queue) space() []byte {
	if q.cur != nil && len(q.cur.buf)-q.cur.used >= q.least {
		return q.cur.buf[q.cur.used:]
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cur != nil {
		q.unref(q.cur)
		q.cur = nil
	}
	for q.wait && !q.abandoned && q.aborted == nil && q.available() == 0 {
		q.settle() // nobody reads before that
		q.room.Wait()
	}
	switch n := q.available(); {
	case q.abandoned:
	case n == 0:
		q.leaving = true
	case !q.leaving || n >= (q.limit+1)/2:
		q.leaving = false
		q.cur = q.take()
		return q.cur.buf
	}
	if q.spare == nil {
		q.spare = make([]byte, q.size)
	}
	return q.spare
}

// available returns how many blocks can be taken.
func (q *queue) available() int { return len(q.free) + q.limit - q.made }

func (q *queue) take() *block {
	var b *block
	if n := len(q.free); n > 0 {
		b, q.free = q.free[n-1], q.free[:n-1]
	} else {
		b = &block{buf: make([]byte, q.size)}
		q.made++
	}
	b.used, b.refs = 0, 1
	return b
}

func (q *queue) unref(b *block) {
	if b.refs--; b.refs == 0 {
		q.free = append(q.free, b)
		q.room.Signal()
	}
}

// commit hands on the first n bytes of the last space.
func (q *queue) commit(n int) {
	if q.cur == nil {
		q.leaveOut(q.spare[:n])
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total += int64(n)
	if q.abandoned {
		return
	}
	b := q.cur
	from := b.used
	b.used += n
	if !q.settled {
		q.head = append(q.head, b.buf[from:b.used]...)
		if enough(q.head) {
			q.settle()
		}
	}
	if k := len(q.items) - 1; k >= 0 && q.items[k].block == b && q.items[k].to == from {
		q.items[k].to = b.used
	} else {
		b.refs++
		q.items = append(q.items, item{kind: itemData, block: b, from: from, to: b.used})
	}
	q.news.Signal()
}

// leaveOut notes bytes that are not handed on.
func (q *queue) leaveOut(b []byte) {
	q.mu.Lock()
	q.total += int64(len(b))
	if q.abandoned {
		q.mu.Unlock()
		return
	}
	q.settle()
	f := q.form
	q.mu.Unlock()
	m := stay()
	if f.records {
		m.over(&f.scanner, b) // not under the lock: the reader goes on meanwhile
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.abandoned {
		return
	}
	if k := len(q.items) - 1; k >= 0 && q.items[k].kind == itemGap {
		q.items[k].moves.then(&m, int64(len(b)))
		q.items[k].bytes += int64(len(b))
	} else {
		q.items = append(q.items, item{kind: itemGap, bytes: int64(len(b)), moves: m})
	}
	q.news.Signal()
}

// settle decides what the stream is by its head.
func (q *queue) settle() {
	if q.settled {
		return
	}
	q.form, q.settled = q.sniff(q.head), true
	q.head = nil
	q.news.Signal()
}

// tick says that a window ends here.
func (q *queue) tick(at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.abandoned {
		return
	}
	if complete(q.head) {
		q.settle()
	}
	q.items = append(q.items, item{kind: itemTick, at: at})
	q.news.Signal()
}

// finish says that nothing follows: err is nil at the end of the input.
func (q *queue) finish(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cur != nil {
		q.unref(q.cur)
		q.cur = nil
	}
	if q.abandoned {
		return
	}
	q.settle()
	q.items = append(q.items, item{kind: itemEnd, err: err})
	q.news.Signal()
}

// pop waits for the next item and returns it. The block of data is the
// caller's until release. It fails when the tap was aborted.
func (q *queue) pop() (item, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.aborted == nil && (len(q.items) == 0 || !q.settled && q.items[0].kind != itemTick) {
		q.news.Wait()
	}
	if q.aborted != nil {
		return item{}, q.aborted
	}
	it := q.items[0]
	q.items[0] = item{}
	if q.items = q.items[1:]; len(q.items) == 0 {
		q.items = nil
	}
	return it, nil
}

// bytes returns how many bytes were committed.
func (q *queue) bytes() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// shape returns what the stream is. It is known once data was popped.
func (q *queue) shape() form {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.form
}

// retain counts one more holder of a block.
func (q *queue) retain(b *block) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b.refs++
}

// release gives a block back.
func (q *queue) release(b *block) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unref(b)
}

// abandon says that nobody reads any more: the bytes go on alone, and the
// memory is free.
func (q *queue) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.abandoned = true
	q.items, q.free, q.head = nil, nil, nil
	q.room.Broadcast()
}

// abort makes pop fail with the error.
func (q *queue) abort(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.aborted == nil {
		q.aborted = err
	}
	q.news.Broadcast()
	q.room.Broadcast()
}

package exact

import (
	"encoding/binary"
	"slices"
	"sort"
)

// Log keeps a few bytes about rows, so that those of some rows can be looked up
// once it is known which matter. It is kept in memory up to a quarter of the
// space's, then on disk. It is there for people alone: where neither has room
// it ends without an error, and later rows are not found. A log is used by one
// goroutine and has to be closed.
type Log struct {
	space  *Space
	size   int // of a block in bytes
	blocks []logBlock
	buf    []byte
	first  int64 // row of buf
	last   int64
	inMem  int64
	file   File
	offset int64
	lost   bool
}

// logBlock is a full block: in memory, or at an offset of the file.
type logBlock struct {
	first  int64 // row
	bytes  []byte
	offset int64
	n      int
}

// NewLog returns an empty log.
func NewLog(space *Space) *Log {
	return &Log{space: space, size: space.part(256, 512, 64<<10)}
}

// Append keeps a copy of b for a row. Rows come in growing order.
func (l *Log) Append(row int64, b []byte) {
	if l.lost {
		return
	}
	if len(l.buf)+len(b)+2*binary.MaxVarintLen64 > cap(l.buf) && !l.turn(len(b)+2*binary.MaxVarintLen64) {
		return
	}
	if len(l.buf) == 0 {
		l.first, l.last = row, row
	}
	l.buf = binary.AppendUvarint(l.buf, uint64(row-l.last))
	l.buf = binary.AppendUvarint(l.buf, uint64(len(b)))
	l.buf = append(l.buf, b...)
	l.last = row
}

// turn puts the block away and begins one with room for at least n bytes.
func (l *Log) turn(n int) bool {
	if len(l.buf) > 0 && !l.put() {
		return false
	}
	if c := max(n, l.size); cap(l.buf) < c {
		l.space.force(int64(c - cap(l.buf)))
		l.buf = make([]byte, 0, c)
	}
	return true
}

// put stores the full block: in memory if there is some, else in the file.
func (l *Log) put() bool {
	b := logBlock{first: l.first, n: len(l.buf)}
	if n := int64(cap(l.buf)); l.file == nil && l.inMem+n <= l.space.shared.memory/4 && l.space.take(n) {
		b.bytes = l.buf
		l.inMem += n
		l.buf = make([]byte, 0, cap(l.buf))
	} else if !l.write(&b) {
		l.Drop()
		return false
	}
	l.blocks = append(l.blocks, b)
	l.buf = l.buf[:0]
	return true
}

// write appends the block to the file.
func (l *Log) write(b *logBlock) bool {
	if l.space.shared.spill == nil || l.space.stop() != nil {
		return false
	}
	var err error
	if l.file == nil {
		if l.file, err = l.space.shared.spill.Create(); err != nil {
			return false
		}
	}
	if err = l.file.Reserve(l.offset + int64(len(l.buf))); err != nil {
		return false
	}
	if _, err = l.file.WriteAt(l.buf, l.offset); err != nil {
		return false
	}
	b.offset = l.offset
	l.offset += int64(len(l.buf))
	return true
}

// Get returns what was kept for a row; ok is false if there is nothing.
func (l *Log) Get(row int64) (b []byte, ok bool) {
	if l.lost {
		return nil, false
	}
	if len(l.buf) > 0 && row >= l.first {
		return find(l.buf, l.first, row)
	}
	i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].first > row }) - 1
	if i < 0 {
		return nil, false
	}
	at := &l.blocks[i]
	if at.bytes != nil {
		return find(at.bytes, at.first, row)
	}
	bytes := make([]byte, at.n)
	if _, err := l.file.ReadAt(bytes, at.offset); err != nil {
		return nil, false
	}
	return find(bytes, at.first, row)
}

// find looks for a row in a block.
func find(block []byte, at, row int64) ([]byte, bool) {
	for len(block) > 0 {
		step, n := binary.Uvarint(block)
		size, m := binary.Uvarint(block[n:])
		block = block[n+m:]
		if at += int64(step); at == row {
			return slices.Clone(block[:size]), true
		}
		block = block[size:]
	}
	return nil, false
}

// Drop gives back everything, the file too, and reports whether there was a
// file. Nothing is found from then on.
func (l *Log) Drop() (hadFile bool) {
	if l.lost {
		return false
	}
	l.lost = true
	l.space.give(l.inMem + int64(cap(l.buf)))
	l.blocks, l.buf = nil, nil
	if l.file == nil {
		return false
	}
	_ = l.file.Close() // what was written is not wanted any more
	return true
}

// Close gives back everything.
func (l *Log) Close() { l.Drop() }

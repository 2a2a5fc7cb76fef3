package source

import (
	"encoding/binary"
	"io"
)

// lz4Frames hands LZ4 frames on and follows their structure (LZ4 Frame Format
// 1.6.4), because the decoder takes some ends inside of a frame for the end of
// the data: such an end is io.ErrUnexpectedEOF here.
type lz4Frames struct {
	src   io.Reader
	part  lz4Part
	need  int // bytes left of the part
	field [4]byte
	have  int  // bytes of the field
	flags byte // of the frame
	lost  bool // the decoder reports what is wrong
}

// lz4Part is a part of a frame.
type lz4Part uint8

const (
	lz4Magic lz4Part = iota
	lz4Flags
	lz4Descriptor
	lz4BlockSize
	lz4Bytes // of a block with its checksum
	lz4Checksum
	lz4SkipSize
	lz4Skip
)

// The flags of a frame.
const (
	lz4DictionaryID   = 0x01
	lz4ContentSum     = 0x04
	lz4ContentSize    = 0x08
	lz4BlockSum       = 0x10
	lz4FrameMagic     = 0x184d2204
	lz4SkippableMagic = 0x184d2a50 // the last four bits are free
)

// Read reads from the source.
func (f *lz4Frames) Read(b []byte) (int, error) {
	n, err := f.src.Read(b)
	f.follow(b[:n])
	if err == io.EOF && !f.lost && !(f.part == lz4Magic && f.have == 0) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// follow moves through the structure by the bytes.
func (f *lz4Frames) follow(b []byte) {
	for !f.lost {
		switch f.part {
		case lz4Descriptor, lz4Bytes, lz4Checksum, lz4Skip:
			n := min(f.need, len(b))
			b = b[n:]
			if f.need -= n; f.need > 0 {
				return
			}
			if f.part == lz4Checksum || f.part == lz4Skip {
				f.part = lz4Magic
			} else {
				f.part = lz4BlockSize
			}
			continue
		default: // the others are fields
		}
		if len(b) == 0 {
			return
		}
		if f.part == lz4Flags {
			f.setFlags(b[0])
			b = b[1:]
			continue
		}
		n := copy(f.field[f.have:], b)
		b = b[n:]
		if f.have += n; f.have < len(f.field) {
			return
		}
		f.have = 0
		f.number(binary.LittleEndian.Uint32(f.field[:]))
	}
}

// setFlags begins the descriptor of a frame.
func (f *lz4Frames) setFlags(flags byte) {
	f.flags, f.part, f.need = flags, lz4Descriptor, 2 // the block size and the checksum of the descriptor
	if flags&lz4ContentSize != 0 {
		f.need += 8
	}
	if flags&lz4DictionaryID != 0 {
		f.need += 4
	}
}

// number takes a field of four bytes.
func (f *lz4Frames) number(x uint32) {
	switch {
	case f.part == lz4Magic && x == lz4FrameMagic:
		f.part = lz4Flags
	case f.part == lz4Magic && x&^15 == lz4SkippableMagic:
		f.part = lz4SkipSize
	case f.part == lz4SkipSize:
		f.part, f.need = lz4Skip, int(x)
	case f.part == lz4BlockSize && x == 0 && f.flags&lz4ContentSum != 0:
		f.part, f.need = lz4Checksum, 4
	case f.part == lz4BlockSize && x == 0:
		f.part = lz4Magic
	case f.part == lz4BlockSize:
		f.part, f.need = lz4Bytes, int(x&^(1<<31)) // the highest bit marks a block that is not packed
		if f.flags&lz4BlockSum != 0 {
			f.need += 4
		}
	default:
		f.lost = true
	}
}

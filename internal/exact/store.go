package exact

import "encoding/binary"

// store keeps blocks of rows in one file and uses the places of blocks that
// were read again.
type store struct {
	space    *Space
	file     File
	perBlock int // rows
	bytes    []byte
	rows     []slot
	blocks   uint32 // in the file
	free     []uint32
	// read in and ordered are the rows of one segment while it is counted.
	readIn, ordered, table []slot
}

// newStore creates the file of a set. Blocks are larger where there is memory
// for their buffers.
func newStore(space *Space) (*store, error) {
	if space.shared.spill == nil {
		return nil, &MemoryError{space.shared.memory}
	}
	f, err := space.shared.spill.Create()
	if err != nil {
		return nil, err
	}
	size := space.part(16*segments, 512, 16<<10)
	space.force(2 * int64(size))
	return &store{space: space, file: f, perBlock: size / slotSize, bytes: make([]byte, size), rows: make([]slot, size/slotSize)}, nil
}

// write stores a block. If the disk is full and relief makes room, it is tried
// again.
func (s *store) write(rows []slot, relief func() bool) (uint32, error) {
	if err := s.space.stop(); err != nil {
		return 0, err
	}
	for i, r := range rows {
		binary.LittleEndian.PutUint64(s.bytes[slotSize*i:], r.lo)
		binary.LittleEndian.PutUint64(s.bytes[slotSize*i+8:], r.meta)
	}
	block := s.blocks
	if n := len(s.free); n > 0 {
		block, s.free = s.free[n-1], s.free[:n-1]
	} else {
		s.blocks++
	}
	err := s.put(block)
	if err != nil && relief != nil && relief() {
		err = s.put(block)
	}
	return block, err
}

func (s *store) put(block uint32) error {
	at := int64(block) * int64(len(s.bytes))
	if err := s.file.Reserve(at + int64(len(s.bytes))); err != nil {
		return err
	}
	_, err := s.file.WriteAt(s.bytes, at)
	return err
}

// read returns the rows of a block, until the next read, and frees its place.
func (s *store) read(block uint32) ([]slot, error) {
	if err := s.space.stop(); err != nil {
		return nil, err
	}
	if _, err := s.file.ReadAt(s.bytes, int64(block)*int64(len(s.bytes))); err != nil {
		return nil, err
	}
	for i := range s.rows {
		s.rows[i] = slot{binary.LittleEndian.Uint64(s.bytes[slotSize*i:]), binary.LittleEndian.Uint64(s.bytes[slotSize*i+8:])}
	}
	s.free = append(s.free, block)
	return s.rows, nil
}

func (s *store) close() error {
	s.dropScratch()
	s.space.give(2 * int64(len(s.bytes)))
	return s.file.Close()
}

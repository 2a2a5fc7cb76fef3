package batch

import "encoding/binary"

// This file fills columns that have no dictionary. The fields of a column are
// mostly written alike, so what one is tells the loop that the next ones are
// tried with.

// What a text may be by its first byte, in bits.
const (
	beginsText  = 1 << iota // nothing but a string
	beginsDigit             // a number or a time too
	beginsWord              // true, false or a spelling of NaN or infinity too
	beginsOther             // any of these
)

var begins = func() (t [256]uint8) {
	for c := range t {
		t[c] = beginsText
	}
	for _, c := range []byte("+-. \t") {
		t[c] = beginsOther
	}
	for _, c := range []byte("tTfFnNiI") {
		t[c] = beginsWord
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = beginsDigit
	}
	return t
}()

// surelyText reports whether a text of the form FormBare, FormQuoted or
// FormString is a string, of which w and next are the first 16 bytes and what
// follows it; quoted is set for FormString. The first bytes of codes are as good
// as random, so they decide nothing but the outcome.
func surelyText(w, next uint64, size uint32, quoted bool) bool {
	is := uint8(beginsText)
	if size >= 16 && onlyInText(w)|onlyInText(next) != 0 {
		is |= beginsDigit
	}
	if size > 8 && uint8(next) > ' ' || quoted { // the words have up to eight letters, and white space may follow
		is |= beginsWord
	}
	return begins[uint8(w)]&is != 0 //nolint:gosec // the first byte
}

// fill sets v to fields of a text, which has RawSpare bytes behind its length.
func (e *Encoder) fill(text []byte, fields []Field, v *Vector) {
	rows := len(fields)
	v.Types, v.Ints, v.Floats = resize(v.Types, rows), resize(v.Ints, rows), resize(v.Floats, rows)
	v.starts, v.ends = resize(v.starts, rows), resize(v.ends, rows)
	whole := text[:len(text)+RawSpare]
	for i := 0; i < rows; i++ {
		if e.opts.Nulls == nil {
			switch e.last {
			case String:
				i += fillTexts(whole, fields[i:], v, i)
			case Timestamp:
				i += e.classify.fillStamps(whole, fields[i:], v, i)
			default:
			}
			if i == rows {
				return
			}
		}
		start, size, form := fields[i].parts()
		val, ok := Value{}, false
		if size > 0 && form <= FormString && e.opts.Nulls == nil {
			val, ok = e.classify.quick(whole, start, size, form == FormString)
		}
		if !ok {
			val = e.value(text[start:start+int(size)], form)
		}
		v.Types[i], v.Ints[i], v.Floats[i] = val.Type, val.Int, val.Float
		v.starts[i], v.ends[i] = uint32(start), uint32(start)+size //nolint:gosec // within the text
		v.Zoned = v.Zoned || val.Zoned
		if val.Type != Null {
			e.last = val.Type
		}
	}
}

// fillTexts fills v from row at on, as long as fields are surely strings, and
// returns how many were.
func fillTexts(text []byte, fields []Field, v *Vector, at int) int {
	n := len(fields)
	types, starts, ends := v.Types[at:][:n], v.starts[at:][:n], v.ends[at:][:n]
	for i, f := range fields {
		start, size, form := f.parts()
		b := text[start : start+RawSpare]
		if size == 0 || form > FormString || !surelyText(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), size, form == FormString) {
			n = i
			break
		}
		types[i], starts[i], ends[i] = String, uint32(start), uint32(start)+size //nolint:gosec // within the text
	}
	clear(v.Ints[at : at+n])
	clear(v.Floats[at : at+n])
	return n
}

// fillStamps fills v from row at on, as long as fields are timestamps as stamp
// reads them, and returns how many were.
func (c *Classifier) fillStamps(text []byte, fields []Field, v *Vector, at int) int {
	n := len(fields)
	types, ints, starts, ends := v.Types[at:][:n], v.Ints[at:][:n], v.starts[at:][:n], v.ends[at:][:n]
	for i, f := range fields {
		start, size, form := f.parts()
		if size != 19 || form > FormString {
			n = i
			break
		}
		b := text[start : start+RawSpare]
		year, day := binary.LittleEndian.Uint64(b), uint32(binary.LittleEndian.Uint64(b[8:])&0xffffff) //nolint:gosec // DD and what divides
		if (year != c.dayWord || day != c.dayRest) && !c.stampDay(year, day) {
			n = i
			break
		}
		us, ok := clockOf(binary.LittleEndian.Uint64(b[11:]))
		if !ok {
			n = i
			break
		}
		types[i], ints[i], starts[i], ends[i] = Timestamp, c.stampUS+us, uint32(start), uint32(start)+size //nolint:gosec // within the text
	}
	clear(v.Floats[at : at+n])
	return n
}

package datagen

import (
	"bytes"
	"strconv"
	"time"
)

// appendHeader appends the names of the columns as a record of CSV.
func (t *Table) appendHeader(buf []byte) []byte {
	for i, c := range t.Columns {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, c.Name...)
	}
	return append(buf, '\n')
}

// AppendCSV appends the rows of a block as CSV: nulls are empty fields without
// quotes.
func (t *Table) AppendCSV(buf []byte, b *Block) []byte {
	for i := range b.Rows {
		for c := range t.Columns {
			if c > 0 {
				buf = append(buf, ',')
			}
			v := &b.Values[c]
			if v.IsNull(i) {
				continue
			}
			buf = appendValue(buf, &t.Columns[c], v, i, appendCSVQuoted)
		}
		buf = append(buf, '\n')
	}
	return buf
}

// AppendJSONL appends the rows of a block as JSON lines.
func (t *Table) AppendJSONL(buf []byte, b *Block) []byte {
	for i := range b.Rows {
		if t.json != nil {
			buf = t.json(buf, b, i)
			continue
		}
		for c := range t.Columns {
			col, v := &t.Columns[c], &b.Values[c]
			buf = append(buf, ",{"[boolean(c == 0)], '"')
			buf = append(append(buf, col.Name...), '"', ':')
			quoted := col.Kind == Timestamp || col.Kind == Text && !col.Quoted
			switch {
			case v.IsNull(i):
				buf = append(buf, "null"...)
			case quoted:
				buf = append(appendValue(append(buf, '"'), col, v, i, nil), '"')
			default:
				buf = appendValue(buf, col, v, i, appendJSONQuoted)
			}
		}
		buf = append(buf, "}\n"...)
	}
	return buf
}

// appendValue appends a value that is not null. The texts of quoted columns go
// through quote.
func appendValue(buf []byte, c *Column, v *Values, i int, quote func(buf, text []byte) []byte) []byte {
	switch c.Kind {
	case Integer:
		return strconv.AppendInt(buf, v.Ints[i], 10)
	case Cents:
		return appendCents(buf, v.Ints[i])
	case Timestamp:
		return appendTime(buf, v.Ints[i])
	case Boolean:
		return strconv.AppendBool(buf, v.Ints[i] != 0)
	case Text:
		if c.Quoted {
			return quote(buf, v.Text(i))
		}
		return append(buf, v.Text(i)...)
	}
	return buf
}

func appendCSVQuoted(buf, text []byte) []byte {
	buf = append(buf, '"')
	for {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			return append(append(buf, text...), '"')
		}
		buf = append(append(buf, text[:i+1]...), '"')
		text = text[i+1:]
	}
}

func appendJSONQuoted(buf, text []byte) []byte {
	buf = append(buf, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			buf = append(buf, '\\', c)
		case c < ' ':
			buf = append(buf, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			buf = append(buf, c)
		}
	}
	return append(buf, '"')
}

// appendCents appends hundredths as a number with two decimals.
func appendCents(buf []byte, n int64) []byte {
	if n < 0 {
		buf, n = append(buf, '-'), -n
	}
	buf = strconv.AppendInt(buf, n/100, 10)
	return append(buf, '.', byte('0'+n/10%10), byte('0'+n%10))
}

// appendTime appends seconds since 1970 as 2006-01-02 15:04:05.
func appendTime(buf []byte, at int64) []byte {
	day := at / 86_400
	s := at - day*86_400
	// Days to a date by eras of 400 years; Howard Hinnant, "chrono-compatible
	// low-level date algorithms", civil_from_days.
	z := day + 719_468
	era := z / 146_097
	doe := z - era*146_097
	yoe := (doe - doe/1_460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d, m, y := doy-(153*mp+2)/5+1, mp+3, yoe+era*400
	if m > 12 {
		m, y = m-12, y+1
	}
	two := func(n int64) (byte, byte) { return byte('0' + n/10), byte('0' + n%10) }
	var b [len(time.DateTime)]byte
	b[0], b[1] = two(y / 100)
	b[2], b[3] = two(y % 100)
	b[5], b[6] = two(m)
	b[8], b[9] = two(d)
	b[11], b[12] = two(s / 3_600)
	b[14], b[15] = two(s / 60 % 60)
	b[17], b[18] = two(s % 60)
	b[4], b[7], b[10], b[13], b[16] = '-', '-', ' ', ':', ':'
	return append(buf, b[:]...)
}

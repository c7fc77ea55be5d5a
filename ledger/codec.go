package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Version is the first byte of every encoding.
const Version = 1

// A coder writes or reads the one encoding of a value, field by field in order:
// integers big-endian and of fixed width, lists and bytes behind a length of
// four bytes. One description of a struct serves both directions.
type coder struct {
	out     []byte
	in      []byte
	reading bool
	err     error
}

// A coded value describes its fields to a coder. Writing changes none of them:
// several goroutines may encode what shares memory.
type coded interface{ code(c *coder) }

// appendCoded adds the encoding of v to dst.
func appendCoded(dst []byte, v coded) []byte {
	c := coder{out: append(dst, Version)}
	v.code(&c)
	return c.out
}

var errShort = errors.New("too short")

// parseCoded reads exactly one encoding into v.
func parseCoded(b []byte, v coded) error {
	if len(b) == 0 {
		return errShort
	}
	if b[0] != Version {
		return fmt.Errorf("version %d; this build reads version %d", b[0], Version)
	}
	c := coder{in: b[1:], reading: true}
	v.code(&c)
	if c.err == nil && len(c.in) > 0 {
		c.err = fmt.Errorf("%d bytes too many", len(c.in))
	}
	return c.err
}

func (c *coder) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// take is the next n bytes of the input, nil if they are not there.
func (c *coder) take(n int) []byte {
	if c.err != nil || n > len(c.in) {
		if c.err == nil {
			c.err = errShort
		}
		return nil
	}
	b := c.in[:n:n]
	c.in = c.in[n:]
	return b
}

func (c *coder) u64(v *uint64) {
	if !c.reading {
		c.out = binary.BigEndian.AppendUint64(c.out, *v)
	} else if b := c.take(8); b != nil {
		*v = binary.BigEndian.Uint64(b)
	}
}

func (c *coder) i64(v *int64) {
	u := uint64(*v)
	c.u64(&u)
	if c.reading {
		*v = int64(u)
	}
}

func (c *coder) u32(v *uint32) {
	if !c.reading {
		c.out = binary.BigEndian.AppendUint32(c.out, *v)
	} else if b := c.take(4); b != nil {
		*v = binary.BigEndian.Uint32(b)
	}
}

func (c *coder) i32(v *int32) {
	u := uint32(*v)
	c.u32(&u)
	if c.reading {
		*v = int32(u)
	}
}

func (c *coder) u16(v *uint16) {
	if !c.reading {
		c.out = binary.BigEndian.AppendUint16(c.out, *v)
	} else if b := c.take(2); b != nil {
		*v = binary.BigEndian.Uint16(b)
	}
}

func (c *coder) u8(v *uint8) {
	if !c.reading {
		c.out = append(c.out, *v)
	} else if b := c.take(1); b != nil {
		*v = b[0]
	}
}

func (c *coder) flag(v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	c.u8(&b)
	if b > 1 {
		c.fail("a flag of %d", b)
	}
	if c.reading {
		*v = b == 1
	}
}

func (c *coder) digest(v *Digest) {
	if !c.reading {
		c.out = append(c.out, v[:]...)
	} else if b := c.take(len(v)); b != nil {
		copy(v[:], b)
	}
}

func (c *coder) signature(v *Signature) {
	if !c.reading {
		c.out = append(c.out, v[:]...)
	} else if b := c.take(len(v)); b != nil {
		copy(v[:], b)
	}
}

// length codes how many of at most limit things follow.
func (c *coder) length(n, limit int) int {
	v := uint32(n)
	c.u32(&v)
	if c.err == nil && uint64(v) > uint64(limit) {
		c.fail("%d of something that has at most %d", v, limit)
	}
	if c.err != nil {
		return 0
	}
	return int(v)
}

// bytes codes at most limit bytes; none are nil.
func (c *coder) bytes(v *[]byte, limit int) {
	n := c.length(len(*v), limit)
	if !c.reading {
		c.out = append(c.out, *v...)
		return
	}
	*v = nil
	if b := c.take(n); len(b) > 0 {
		*v = append([]byte(nil), b...)
	}
}

// text codes at most limit bytes of UTF-8.
func (c *coder) text(v *string, limit int) {
	b := []byte(*v)
	c.bytes(&b, limit)
	if !utf8.Valid(b) {
		c.fail("text that is no UTF-8")
	}
	if c.reading {
		*v = string(b)
	}
}

// name codes what members, queriers and tasks are called.
func (c *coder) name(v *string) {
	c.text(v, MaxName)
	if c.reading && c.err == nil && !ValidName(*v) {
		c.fail("%.40q is not a name", *v)
	}
}

// ValidName says whether s is 1 to [MaxName] of a-z, 0-9 and inner hyphens.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > MaxName || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

// list codes at most limit values; none are nil.
func list[T any](c *coder, v *[]T, limit int, each func(*T)) {
	n := c.length(len(*v), limit)
	if c.reading {
		*v = nil
	}
	for i := 0; i < n && c.err == nil; i++ {
		if c.reading {
			var zero T
			*v = append(*v, zero)
		}
		each(&(*v)[i])
	}
}

func (c *coder) names(v *[]string, limit int) { list(c, v, limit, c.name) }

func (c *coder) digests(v *[]Digest, limit int) { list(c, v, limit, c.digest) }

// Hash is SHA-256 over a label and length-prefixed parts: no two lists of parts
// have the same bytes.
func Hash(label string, parts ...[]byte) Digest {
	b := binary.BigEndian.AppendUint32([]byte("commonseal/ledger/"+label), uint32(len(label)))
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return sha256.Sum256(b)
}

package store

import "encoding/binary"

// clean reads heads and uploads and drops what belongs to neither, or not all
// of whose chunks are here.
func (b *Blobs) clean() error {
	found, err := b.countChunks()
	if err != nil {
		return err
	}
	var spoilt []write
	owners := map[uploadID]bool{} // of chunks to keep
	var later error               // a head that another version of this program wrote
	err = b.kv.scan(headKeys, true, func(key string, stored []byte) bool {
		id, _ := parseID(key[len(headKeys):] + string(make([]byte, tagLen)))
		if len(stored) > 0 && stored[0] != headVersion {
			_, later = parseHead(id.digest, stored)
			return false
		}
		h, err := parseHead(id.digest, stored)
		id.tag = tagOf(h.owner)
		if err != nil || found[id] != len(h.sums) {
			spoilt = append(spoilt, write{key: key})
			return true
		}
		owners[id] = true
		b.used[h.owner] += h.size
		return true
	})
	if err = firstError(err, later); err != nil {
		return err
	}
	err = b.kv.scan(uploadKeys, true, func(key string, stored []byte) bool {
		id, _ := parseID(key[len(uploadKeys):])
		h, err := parseHead(id.digest, stored)
		// It is torn by a power failure, or finished and only this was left.
		if err != nil || owners[id] {
			spoilt = append(spoilt, write{key: key})
			return true
		}
		owners[id] = true
		b.used[h.owner] += h.size
		b.uploads[id] = &Upload{blobs: b, id: id, digest: id.digest, owner: h.owner, size: h.size,
			next: min(h.size, int64(found[id])*ChunkSize)}
		return true
	})
	if err != nil {
		return err
	}
	return b.sweep(spoilt, found, owners)
}

// countChunks is how many chunks each upload has, up to the first that is
// missing.
func (b *Blobs) countChunks() (map[uploadID]int, error) {
	found := map[uploadID]int{}
	err := b.kv.scan(chunkKeys, false, func(key string, _ []byte) bool {
		id, i := parseChunkKey(key)
		if n := found[id]; i == n {
			found[id] = n + 1
		}
		return true
	})
	return found, err
}

// sweep deletes heads that are spoilt, chunks that belong to none, and chunks
// after a gap.
func (b *Blobs) sweep(spoilt []write, found map[uploadID]int, owners map[uploadID]bool) error {
	err := b.kv.scan(chunkKeys, false, func(key string, _ []byte) bool {
		if id, i := parseChunkKey(key); !owners[id] || i >= found[id] {
			spoilt = append(spoilt, write{key: key})
		}
		return true
	})
	for len(spoilt) > 0 && err == nil {
		n := min(len(spoilt), chunks(MaxBlob))
		err = b.kv.commit(spoilt[:n], false)
		spoilt = spoilt[n:]
	}
	return err
}

func parseChunkKey(key string) (uploadID, int) {
	id, ok := parseID(key[len(chunkKeys):])
	if !ok || len(key) != len(chunkKeys)+idLen+4 {
		return uploadID{}, -1 // nobody's: swept
	}
	return id, int(binary.BigEndian.Uint32([]byte(key[len(chunkKeys)+idLen:])))
}

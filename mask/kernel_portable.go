package mask

func xor(b []byte, key uint32) { xorPortable(b, key) }

func copyXOR(dst, src []byte, key uint32) { copyPortable(dst, src, key) }

//go:build purego || !amd64

package mask

// kernels returns the kernel in use and the portable one.
func kernels() []kernel {
	return []kernel{{"apply", apply}, {"portable", applyPortable}}
}

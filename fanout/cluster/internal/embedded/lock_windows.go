package embedded

import (
	"errors"
	"os"
	"syscall"
)

// errSharingViolation: another process has opened the file and doesn't share it.
const errSharingViolation = syscall.Errno(32)

// lockFile locks a file for this process, by not sharing it. The lock ends with the process, or by
// closing the file. locked is false if another one has it.
func lockFile(name string) (f *os.File, locked bool, err error) {
	path, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, false, err
	}
	const shareNothing = 0
	h, err := syscall.CreateFile(path, syscall.GENERIC_READ|syscall.GENERIC_WRITE, shareNothing, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	switch {
	case errors.Is(err, errSharingViolation):
		return nil, false, nil
	case err != nil:
		return nil, false, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return os.NewFile(uintptr(h), name), true, nil
}

package main

// openFiles returns false: Windows has no such limit.
func openFiles() (int, bool) { return 0, false }

func raiseOpenFiles(int) {}

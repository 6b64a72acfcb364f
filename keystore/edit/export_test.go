package edit

// These are for tests outside the package.
var FileError = fileError

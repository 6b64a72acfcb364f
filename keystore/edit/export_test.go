package edit

// What the tests outside the package need to see of the inside.
var FileError = fileError

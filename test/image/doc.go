// Package image tests the image: what deploy/image/build makes of the Dockerfile, and what it does when it runs.
//
// No base image is pulled: what the Dockerfile compiles in is put together from the Go that runs the test and BusyBox,
// and the rest is the Dockerfile as it is. Needs root, Linux, buildah and a static busybox; with podman and crun or
// runc the image runs as a container. Where that is not possible it runs in a chroot, and the output says so.
package image

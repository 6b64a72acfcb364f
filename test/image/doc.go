// Package image tests the image: it builds the Dockerfile by deploy/image/build, and runs the result.
//
// It pulls no base image: the image with Go is made of the Go that runs the test and of BusyBox. The rest is the
// Dockerfile as it is. It needs root, Linux, buildah and a static busybox. With podman and crun or runc, the image runs in
// a container. Where that is not possible it runs in a chroot, and the output says so.
package image

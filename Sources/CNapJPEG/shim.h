#ifndef CNAPJPEG_SHIM_H
#define CNAPJPEG_SHIM_H
#include <turbojpeg.h>
#endif

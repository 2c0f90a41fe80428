#ifndef CNAPIMAGES_SHIM_H
#define CNAPIMAGES_SHIM_H
#include <png.h>
#include <string.h>
#include <turbojpeg.h>
#include <zlib.h>
#endif

#ifndef CNAPPNG_SHIM_H
#define CNAPPNG_SHIM_H
#include <png.h>
#include <setjmp.h>
#include <string.h>
#include <zlib.h>

typedef struct {
  const unsigned char *bytes;
  size_t left;
} nap_png_source;

static inline void nap_png_read(png_structp png, png_bytep to, size_t count) {
  nap_png_source *source = (nap_png_source *)png_get_io_ptr(png);
  if (count > source->left) png_error(png, "truncated");
  memcpy(to, source->bytes, count);
  source->bytes += count;
  source->left -= count;
}

static inline void nap_png_fail(png_structp png, png_const_charp message) {
  (void)message;
  png_longjmp(png, 1);
}

static inline void nap_png_warn(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

/// Reads a whole PNG file as rows of red, green and blue bytes, as they stand in it: alpha is dropped, gamma is
/// not looked at, and of 16 bits the upper 8 count. libpng's simple interface converts them, and errors jump,
/// which Swift cannot.
///
/// Returns 0 unless the file is whole and of exactly that size.
static inline int nap_png_decode(
    const unsigned char *bytes, size_t count, unsigned width, unsigned height, unsigned char *pixels) {
  nap_png_source source = {bytes, count};
  png_infop info = NULL;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, nap_png_fail, nap_png_warn);
  if (!png) return 0;
  info = png_create_info_struct(png);
  if (!info || setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    return 0;
  }
  png_set_read_fn(png, &source, nap_png_read);
  png_set_user_limits(png, width, height);
  png_read_info(png, info);
  png_set_strip_16(png);
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  {
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_image_width(png, info) != width || png_get_image_height(png, info) != height ||
        png_get_rowbytes(png, info) != (size_t)width * 3)
      png_error(png, "another size");
    for (int pass = 0; pass < passes; pass++)
      for (unsigned y = 0; y < height; y++) png_read_row(png, pixels + (size_t)y * width * 3, NULL);
  }
  png_read_end(png, NULL);
  png_destroy_read_struct(&png, &info, NULL);
  return 1;
}
#endif

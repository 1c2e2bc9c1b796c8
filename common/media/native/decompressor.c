/*
 * A JPEG decompressor over libjpeg's interface that writes samples into planes
 * and nowhere else. TurboJPEG's interface decompresses into rows of its own and
 * copies each of them, if a plane ends within a block, as those of pictures of
 * 360 or 1080 rows do.
 *
 * It takes only plain JPEGs, and gives up at the first warning: whoever calls it
 * has another decompressor, which knows what to do.
 *
 * libjpeg reports errors by longjmp, so it is called only below functions of
 * this file that have called setjmp.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

/* Components of an image, rows passed in one call. */
#define MAX_PLANES 3
#define MAX_ROWS (4 * DCTSIZE)

/* What the header of a plain JPEG says. */
struct framegram_header {
  uint32_t width, height;
  int32_t components;
  int32_t across, down; /* luma samples for a chroma sample */
};

/* Planes without gaps between rows. */
struct framegram_planes {
  uint8_t *planes[MAX_PLANES];
  size_t widths[MAX_PLANES];
  size_t rows[MAX_PLANES];
};

struct framegram_decompressor {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  jmp_buf failed;
};

static void fail(j_common_ptr jpeg)
{
  longjmp(((struct framegram_decompressor *)jpeg->client_data)->failed, 1);
}

/* A level below 0 is a warning. */
static void give_up_at_warning(j_common_ptr jpeg, int level)
{
  if (level < 0)
    fail(jpeg);
}

static int create(struct framegram_decompressor *self)
{
  self->jpeg.client_data = self;
  self->jpeg.err = jpeg_std_error(&self->errors);
  self->errors.error_exit = fail;
  self->errors.emit_message = give_up_at_warning;
  if (setjmp(self->failed))
    return 0;
  jpeg_create_decompress(&self->jpeg);
  return 1;
}

struct framegram_decompressor *framegram_decompressor_new(void)
{
  struct framegram_decompressor *self = calloc(1, sizeof(*self));
  if (self == NULL || create(self))
    return self;
  free(self);
  return NULL;
}

void framegram_decompressor_free(struct framegram_decompressor *self)
{
  jpeg_destroy_decompress(&self->jpeg);
  free(self);
}

static int is_plain(const struct jpeg_decompress_struct *jpeg)
{
  if (jpeg->progressive_mode || jpeg->arith_code || jpeg->data_precision != 8)
    return 0;
  if (jpeg->comps_in_scan != jpeg->num_components)
    return 0;
  const jpeg_component_info *luma = &jpeg->comp_info[0];
  if (jpeg->num_components == 1)
    return jpeg->jpeg_color_space == JCS_GRAYSCALE && luma->h_samp_factor == 1 &&
           luma->v_samp_factor == 1;
  if (jpeg->num_components != MAX_PLANES || jpeg->jpeg_color_space != JCS_YCbCr)
    return 0;
  for (int at = 1; at < MAX_PLANES; at++) {
    const jpeg_component_info *chroma = &jpeg->comp_info[at];
    if (chroma->h_samp_factor != 1 || chroma->v_samp_factor != 1)
      return 0;
  }
  return 1;
}

/*
 * Reads the header of a JPEG, which must stay where it is until the planes are
 * read. Returns whether the JPEG is a plain one.
 */
int framegram_decompress_header(struct framegram_decompressor *self,
                                const uint8_t *bytes, size_t size,
                                struct framegram_header *header)
{
  j_decompress_ptr jpeg = &self->jpeg;
  if (setjmp(self->failed))
    return 0;
  jpeg_mem_src(jpeg, bytes, (unsigned long)size);
  jpeg_read_header(jpeg, TRUE);
  header->width = jpeg->image_width;
  header->height = jpeg->image_height;
  header->components = jpeg->num_components;
  header->across = jpeg->comp_info[0].h_samp_factor;
  header->down = jpeg->comp_info[0].v_samp_factor;
  return is_plain(jpeg);
}

/*
 * Reads the planes of the JPEG whose header was read. Returns whether all of
 * them are there. Rows must be of whole blocks.
 */
int framegram_decompress_planes(struct framegram_decompressor *self,
                                const struct framegram_planes *out)
{
  j_decompress_ptr jpeg = &self->jpeg;
  JSAMPROW rows[MAX_PLANES][MAX_ROWS];
  JSAMPARRAY planes[MAX_PLANES];
  if (setjmp(self->failed))
    return 0;
  jpeg->dct_method = JDCT_ISLOW;
  jpeg->raw_data_out = TRUE;
  jpeg_start_decompress(jpeg);
  JSAMPROW spare[MAX_PLANES];
  for (int at = 0; at < jpeg->num_components; at++) {
    const jpeg_component_info *component = &jpeg->comp_info[at];
    size_t width = (size_t)component->width_in_blocks * DCTSIZE;
    if (width != out->widths[at] || component->v_samp_factor * DCTSIZE > MAX_ROWS)
      return 0;
    /* For rows of the last blocks, below the image. */
    spare[at] = (*jpeg->mem->alloc_small)((j_common_ptr)jpeg, JPOOL_IMAGE, width);
    planes[at] = rows[at];
  }
  const JDIMENSION lines = (JDIMENSION)jpeg->max_v_samp_factor * DCTSIZE;
  for (size_t group = 0; jpeg->output_scanline < jpeg->output_height; group++) {
    for (int at = 0; at < jpeg->num_components; at++) {
      size_t count = (size_t)jpeg->comp_info[at].v_samp_factor * DCTSIZE;
      for (size_t row = 0; row < count; row++) {
        size_t to = group * count + row;
        rows[at][row] = to < out->rows[at] ? out->planes[at] + to * out->widths[at]
                                           : spare[at];
      }
    }
    if (jpeg_read_raw_data(jpeg, planes, lines) == 0)
      return 0;
  }
  return jpeg_finish_decompress(jpeg);
}

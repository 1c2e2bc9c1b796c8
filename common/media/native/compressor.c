/*
 * A JPEG compressor over libjpeg's interface, with custom quantisation and
 * Huffman tables and a dead zone, which TurboJPEG's interface lacks.
 *
 * libjpeg reports errors by longjmp, so it is called only below functions of
 * this file that have called setjmp.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

/* Components of an image, tables of each kind, rows passed in one call. */
#define MAX_PLANES 3
#define MAX_TABLES 2
#define MAX_ROWS (4 * DCTSIZE)

/* Allocations of the size of the divisors that are examined. */
#define MAX_CANDIDATES 8

/*
 * libjpeg-turbo's divisors of the coefficients of a table. The layout is
 * private, so divisors are changed only if they have exactly this form: a
 * correction of half the divisor (for some divisors, 1 more) is added to 8 times
 * the coefficient, and the sum is multiplied by the reciprocal.
 */
struct divisors {
  int16_t reciprocals[DCTSIZE2];
  int16_t corrections[DCTSIZE2];
  int16_t scales[DCTSIZE2];
  int16_t shifts[DCTSIZE2];
};

/* An image: packed blue, green and red in the first plane, or planes. */
struct framegram_image {
  const uint8_t *planes[MAX_PLANES];
  size_t strides[MAX_PLANES];
  size_t rows[MAX_PLANES];
  uint32_t width, height;
  int32_t components;
  int32_t across, down; /* luma samples for a chroma sample */
  int32_t is_packed;
};

/* Huffman tables: DC and AC of luma, DC and AC of chroma. */
struct framegram_huffman {
  uint8_t lengths[2 * MAX_TABLES][16];
  uint8_t symbols[2 * MAX_TABLES][256];
};

/* The parameters of a JPEG. */
struct framegram_coding {
  uint16_t steps[MAX_TABLES][DCTSIZE2]; /* in natural order */
  uint32_t rounding; /* percent of a step; 50 rounds to the nearest */
  const struct framegram_huffman *huffman;
  uint32_t restart_interval;
};

struct framegram_compressor {
  struct jpeg_compress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_destination_mgr destination;
  jmp_buf failed;
  void *(*allocate)(j_common_ptr, int, size_t);
  void *candidates[MAX_CANDIDATES];
  int candidate_count;
  int is_full;
  char message[JMSG_LENGTH_MAX];
};

static struct framegram_compressor *of(j_common_ptr jpeg)
{
  return (struct framegram_compressor *)jpeg->client_data;
}

static void fail(j_common_ptr jpeg)
{
  struct framegram_compressor *self = of(jpeg);
  jpeg->err->format_message(jpeg, self->message);
  longjmp(self->failed, 1);
}

static void say_nothing(j_common_ptr jpeg)
{
  (void)jpeg;
}

static void start_output(j_compress_ptr jpeg)
{
  (void)jpeg;
}

/* The caller's buffer does not grow. */
static boolean output_is_full(j_compress_ptr jpeg)
{
  of((j_common_ptr)jpeg)->is_full = 1;
  ERREXIT(jpeg, JERR_CANT_SUSPEND);
  return FALSE;
}

/* Records where libjpeg may keep its divisors, which it makes at the start. */
static void *allocate(j_common_ptr jpeg, int pool, size_t size)
{
  struct framegram_compressor *self = of(jpeg);
  void *memory = self->allocate(jpeg, pool, size);
  if (size == sizeof(struct divisors) && self->candidate_count < MAX_CANDIDATES)
    self->candidates[self->candidate_count++] = memory;
  return memory;
}

static int half(uint16_t step)
{
  return step * 8 / 2;
}

static int are_divisors(const struct divisors *divisors, const uint16_t *steps)
{
  for (int at = 0; at < DCTSIZE2; at++) {
    int more = divisors->corrections[at] - half(steps[at]);
    if (more != 0 && more != 1)
      return 0;
  }
  return 1;
}

/*
 * Makes the dead zone: all coefficients but DC are rounded up from a higher
 * value. A step of 1 stays lossless.
 */
static void set_rounding(struct framegram_compressor *self,
                         const struct framegram_coding *coding)
{
  for (int index = 0; index < self->candidate_count; index++) {
    struct divisors *divisors = self->candidates[index];
    for (int table = 0; table < MAX_TABLES; table++) {
      const uint16_t *steps = coding->steps[table];
      if (!are_divisors(divisors, steps))
        continue;
      for (int at = 1; at < DCTSIZE2; at++) {
        int later = half(steps[at]) - (int)(steps[at] * 8 * coding->rounding / 100);
        divisors->corrections[at] -= (int16_t)(steps[at] > 1 ? later : 0);
      }
      break;
    }
  }
}

static void set_steps(j_compress_ptr jpeg, const struct framegram_coding *coding)
{
  for (int table = 0; table < MAX_TABLES; table++)
    memcpy(jpeg->quant_tbl_ptrs[table]->quantval, coding->steps[table],
           sizeof(coding->steps[table]));
}

static void set_huffman(j_compress_ptr jpeg, const struct framegram_huffman *tables)
{
  for (int table = 0; table < 2 * MAX_TABLES; table++) {
    JHUFF_TBL **places = table % 2 ? jpeg->ac_huff_tbl_ptrs : jpeg->dc_huff_tbl_ptrs;
    JHUFF_TBL *own = places[table / 2];
    memcpy(own->bits + 1, tables->lengths[table], sizeof(tables->lengths[table]));
    memcpy(own->huffval, tables->symbols[table], sizeof(tables->symbols[table]));
  }
}

static void write_packed(j_compress_ptr jpeg, const struct framegram_image *image)
{
  JSAMPROW rows[MAX_ROWS];
  while (jpeg->next_scanline < jpeg->image_height) {
    JDIMENSION count = 0;
    while (count < MAX_ROWS && jpeg->next_scanline + count < jpeg->image_height) {
      size_t row = jpeg->next_scanline + count;
      rows[count++] = (JSAMPROW)image->planes[0] + row * image->strides[0];
    }
    jpeg_write_scanlines(jpeg, rows, count);
  }
}

static void write_planes(j_compress_ptr jpeg, const struct framegram_image *image)
{
  JSAMPROW rows[MAX_PLANES][MAX_ROWS];
  JSAMPARRAY planes[MAX_PLANES];
  const JDIMENSION lines = (JDIMENSION)jpeg->max_v_samp_factor * DCTSIZE;
  for (int at = 0; at < jpeg->num_components; at++) {
    /* libjpeg reads whole blocks of each row. */
    if ((size_t)jpeg->comp_info[at].width_in_blocks * DCTSIZE > image->strides[at])
      ERREXIT(jpeg, JERR_BAD_LENGTH);
  }
  for (size_t group = 0; jpeg->next_scanline < jpeg->image_height; group++) {
    for (int at = 0; at < jpeg->num_components; at++) {
      size_t count = (size_t)jpeg->comp_info[at].v_samp_factor * DCTSIZE;
      for (size_t row = 0; row < count; row++) {
        size_t from = group * count + row, last = image->rows[at] - 1;
        from = from < last ? from : last;
        rows[at][row] = (JSAMPROW)image->planes[at] + from * image->strides[at];
      }
      planes[at] = rows[at];
    }
    jpeg_write_raw_data(jpeg, planes, lines);
  }
}

static int create(struct framegram_compressor *self)
{
  self->jpeg.client_data = self;
  self->jpeg.err = jpeg_std_error(&self->errors);
  self->errors.error_exit = fail;
  self->errors.output_message = say_nothing;
  if (setjmp(self->failed))
    return 0;
  jpeg_create_compress(&self->jpeg);
  self->allocate = self->jpeg.mem->alloc_small;
  self->jpeg.mem->alloc_small = allocate;
  self->destination.init_destination = start_output;
  self->destination.empty_output_buffer = output_is_full;
  self->destination.term_destination = start_output;
  self->jpeg.dest = &self->destination;
  return 1;
}

struct framegram_compressor *framegram_compressor_new(void)
{
  struct framegram_compressor *self = calloc(1, sizeof(*self));
  if (self == NULL || create(self))
    return self;
  free(self);
  return NULL;
}

void framegram_compressor_free(struct framegram_compressor *self)
{
  jpeg_destroy_compress(&self->jpeg);
  free(self);
}

/* libjpeg's message about the last call that failed. */
const char *framegram_compressor_message(const struct framegram_compressor *self)
{
  return self->message;
}

/*
 * Writes a JPEG into `size` bytes of `out`. Returns its length, 0 if libjpeg
 * refuses the image, or -1 if the JPEG does not fit.
 */
ptrdiff_t framegram_compress(struct framegram_compressor *self,
                             const struct framegram_image *image,
                             const struct framegram_coding *coding,
                             uint8_t *out, size_t size)
{
  j_compress_ptr jpeg = &self->jpeg;
  /* libjpeg writes a byte before it checks for room. */
  if (size == 0)
    return -1;
  self->is_full = 0;
  if (setjmp(self->failed)) {
    jpeg_abort_compress(jpeg);
    return self->is_full ? -1 : 0;
  }
  self->destination.next_output_byte = out;
  self->destination.free_in_buffer = size;

  jpeg->image_width = image->width;
  jpeg->image_height = image->height;
  jpeg->input_components = image->components;
  jpeg->in_color_space = image->is_packed          ? JCS_EXT_BGR
                         : image->components == 1 ? JCS_GRAYSCALE
                                                   : JCS_YCbCr;
  jpeg_set_defaults(jpeg);
  jpeg->dct_method = JDCT_ISLOW;
  jpeg->raw_data_in = !image->is_packed;
  jpeg->restart_interval = coding->restart_interval;
  jpeg->comp_info[0].h_samp_factor = image->across;
  jpeg->comp_info[0].v_samp_factor = image->down;
  set_huffman(jpeg, coding->huffman);
  set_steps(jpeg, coding);
  self->candidate_count = 0;
  jpeg_start_compress(jpeg, TRUE);
  set_rounding(self, coding);
  if (image->is_packed)
    write_packed(jpeg, image);
  else
    write_planes(jpeg, image);
  jpeg_finish_compress(jpeg);
  return (ptrdiff_t)(size - self->destination.free_in_buffer);
}

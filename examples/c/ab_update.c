#include "ab_update.h"

#include <stdbool.h>

/* Little-endian words: magic "ADSL", sequence number, length of the weights file, CRC-32 of the other four, CRC-32 of the weights file. */
enum { MAGIC, SEQUENCE, LENGTH, CRC, MODEL, FIELDS };

#define MAGIC_WORD 0x4c534441u
#define HEADER_LENGTH (4 * (size_t)FIELDS)

static uint32_t crc32_word(uint32_t crc, uint32_t value) {
    for (int bit = 0; bit < 32; bit++, value >>= 1) {
        crc = (crc >> 1) ^ (0xedb88320u & (0u - ((crc ^ value) & 1u)));
    }
    return crc;
}

static uint32_t header_crc32(const uint32_t header[FIELDS]) {
    uint32_t crc = 0xffffffffu;
    for (int field = 0; field < FIELDS; field++) {
        if (field != CRC) {
            crc = crc32_word(crc, header[field]);
        }
    }
    return ~crc;
}

/* The weights file begins behind the header, in a unit of its own and on the alignment of its tensors. */
static size_t model_offset(const ab_flash *slot) {
    return slot->unit_length > 32 ? slot->unit_length : 32;
}

static bool read_header(const ab_flash *slot, uint32_t header[FIELDS]) {
    if (slot->length < HEADER_LENGTH) {
        return false;
    }
    for (int field = 0; field < FIELDS; field++) {
        const uint8_t *bytes = slot->bytes + 4 * field;
        header[field] = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    }
    return header[MAGIC] == MAGIC_WORD && header[CRC] == header_crc32(header);
}

static bool same_name(const char *name, const ad_model_info *info) {
    size_t index = 0;
    while (index < info->environment_length && name[index] == info->environment[index] && name[index] != 0) {
        index++;
    }
    return index == info->environment_length && name[index] == 0;
}

static bool fits(const ad_model_info *info, const ab_requirements *requirements) {
    return info->interface_crc32 == requirements->interface_crc32 && info->workspace_words <= requirements->workspace_words &&
           (requirements->environment == NULL || same_name(requirements->environment, info));
}

static bool can_run(const ab_flash *slot, const ab_requirements *requirements) {
    uint32_t header[FIELDS];
    ad_model_info info;
    size_t offset = model_offset(slot);
    return read_header(slot, header) && offset <= slot->length && header[LENGTH] <= slot->length - offset &&
           ad_weights_info(slot->bytes + offset, header[LENGTH], &info) == AD_STATUS_OK && info.crc32 == header[MODEL] && fits(&info, requirements);
}

int ab_start(const ab_flash slots[2], const ab_requirements *requirements) {
    uint32_t a[FIELDS], b[FIELDS];
    bool has_a = read_header(&slots[0], a), has_b = read_header(&slots[1], b);
    /* Sequence numbers may wrap. */
    int newer = has_b && (!has_a || (int32_t)(b[SEQUENCE] - a[SEQUENCE]) > 0);
    if (can_run(&slots[newer], requirements)) {
        return newer;
    }
    return can_run(&slots[1 - newer], requirements) ? 1 - newer : -1;
}

const uint8_t *ab_model(const ab_flash *slot, size_t *length) {
    uint32_t header[FIELDS];
    *length = read_header(slot, header) ? header[LENGTH] : 0;
    return slot->bytes + model_offset(slot);
}

ab_result ab_begin(ab_update *update, const ab_flash slots[2], int running, size_t length) {
    uint32_t header[FIELDS];
    const ab_flash *slot = &slots[running == 0];
    size_t offset = model_offset(slot);
    if (offset > slot->length || length > slot->length - offset) {
        return AB_ROOM;
    }
    update->slot = slot;
    update->sequence = running >= 0 && read_header(&slots[running], header) ? header[SEQUENCE] + 1 : 1;
    update->length = length;
    update->written = 0;
    update->why = AD_STATUS_OK;
    /* The header first. */
    for (size_t page = 0; page * slot->page_length < offset + length; page++) {
        if (slot->erase(slot->context, page) != 0) {
            return AB_FLASH;
        }
    }
    return AB_OK;
}

/* Programs the units that `length` bytes begin; what they do not fill stays erased. */
static ab_result program(const ab_flash *slot, size_t offset, const uint8_t *bytes, size_t length) {
    uint8_t last[AB_MOST_UNIT];
    size_t unit = slot->unit_length, whole = length / unit * unit;
    if (whole > 0 && slot->program(slot->context, offset, bytes, whole) != 0) {
        return AB_FLASH;
    }
    if (whole == length) {
        return AB_OK;
    }
    for (size_t index = 0; index < unit; index++) {
        last[index] = whole + index < length ? bytes[whole + index] : 0xff;
    }
    return slot->program(slot->context, offset + whole, last, unit) == 0 ? AB_OK : AB_FLASH;
}

ab_result ab_write(ab_update *update, const uint8_t *chunk, size_t length) {
    const ab_flash *slot = update->slot;
    ab_result result;
    if (length > update->length - update->written) {
        return AB_LENGTH;
    }
    if (length % slot->unit_length != 0 && update->written + length != update->length) {
        return AB_CHUNK;
    }
    result = program(slot, model_offset(slot) + update->written, chunk, length);
    if (result == AB_OK) {
        update->written += length;
    }
    return result;
}

ab_result ab_finish(ab_update *update, const ab_requirements *requirements) {
    const ab_flash *slot = update->slot;
    uint32_t header[FIELDS], found[FIELDS];
    uint8_t bytes[HEADER_LENGTH];
    ad_model_info info;
    if (update->written != update->length) {
        return AB_LENGTH;
    }
    update->why = ad_weights_info(slot->bytes + model_offset(slot), update->length, &info);
    if (update->why != AD_STATUS_OK) {
        return AB_MODEL;
    }
    if (!fits(&info, requirements)) {
        return AB_MISMATCH;
    }
    header[MAGIC] = MAGIC_WORD;
    header[SEQUENCE] = update->sequence;
    header[LENGTH] = (uint32_t)update->length;
    header[MODEL] = info.crc32;
    header[CRC] = header_crc32(header);
    for (size_t index = 0; index < HEADER_LENGTH; index++) {
        bytes[index] = (uint8_t)(header[index / 4] >> 8 * (index % 4));
    }
    if (program(slot, 0, bytes, HEADER_LENGTH) != AB_OK) {
        return AB_FLASH;
    }
    return read_header(slot, found) && found[CRC] == header[CRC] ? AB_OK : AB_HEADER;
}

/* As much of Arduino as the sketch uses. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include "board.h"

void setup(void);
void loop(void);

/* Who waits has failed. */
inline void delay(unsigned long) {
    board_stop(1);
}

struct Console {
    void begin(unsigned long) {}
    void println(const char *text) {
        board_print(text);
    }
};

extern Console Serial;

#endif

#include "Arduino.h"

Console Serial;

extern "C" int main() {
    setup();
    for (;;) {
        loop();
    }
}

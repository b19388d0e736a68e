/* What the example sketch takes of Arduino's core: Serial is standard input and output where there is a host. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

struct SerialStub {
    void begin(unsigned long);
    explicit operator bool() const;
    int available();
    int read();
    size_t readBytes(char *, size_t);
    void print(const char *);
    void print(int);
    void println();
    void println(const char *);
};

extern SerialStub Serial;
unsigned long millis();
void setup();
void loop();

#endif

/* The other side of Arduino.h: the program ends with its input. */
#include <cstdio>

#include "Arduino.h"

SerialStub Serial;
static int next = EOF;

void SerialStub::begin(unsigned long) {}
SerialStub::operator bool() const { return true; }
int SerialStub::available() { return next != EOF; }
void SerialStub::print(const char *text) { std::printf("%s", text); }
void SerialStub::print(int value) { std::printf("%d", value); }
void SerialStub::println() { std::printf("\n"); }
void SerialStub::println(const char *text) { std::printf("%s\n", text); }
unsigned long millis() { return 0; }

int SerialStub::read()
{
    const int byte = next;
    next = std::getchar();
    return byte;
}

size_t SerialStub::readBytes(char *to, size_t size)
{
    size_t count = 0;
    for (; count < size && next != EOF; count++) {
        to[count] = (char)read();
    }
    return count;
}

int main()
{
    setup();
    for (next = std::getchar(); next != EOF;) {
        loop();
    }
}

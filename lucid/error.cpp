#include "lucid/error.hpp"

#include <charconv>
#include <cmath>

#include "lucid/error_path.hpp"
#include "lucid/op_scope.hpp"

namespace lucid {
namespace {
thread_local const std::string* current_path = nullptr;

template <class T>
void append_number(std::string& out, T value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, result.ptr);
}

constexpr std::size_t kLongest = 8000, kTail = 2000;  // characters; a message closes with the remedy

// What callers and files supply may be long and may hold control characters: none reaches a terminal.
std::string legible(std::string message) {
  if (message.size() > kLongest) message.replace(kLongest - kTail, message.size() - kLongest, " [...] ");
  std::string text;
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 ? byte != 0x7f : c == '\n') {
      text += c;
    } else {
      text += "\\x";
      for (const int digit : {byte >> 4, byte & 15}) text += "0123456789abcdef"[digit];
    }
  }
  return text;
}
}  // namespace

namespace detail {
const std::string* current_error_path() { return current_path; }

void append(std::string& out, std::string_view text) { out += text; }
void append(std::string& out, const char* text) { out += text; }
void append(std::string& out, bool value) { out += value ? "true" : "false"; }
void append(std::string& out, int value) { append_number(out, value); }
void append(std::string& out, unsigned value) { append_number(out, value); }
void append(std::string& out, long value) { append_number(out, value); }
void append(std::string& out, unsigned long value) { append_number(out, value); }
void append(std::string& out, long long value) { append_number(out, value); }
void append(std::string& out, unsigned long long value) { append_number(out, value); }
void append(std::string& out, double value) { append_number(out, value); }

void throw_error(std::string_view where, const std::string& message) {
  std::string text(where);
  if (current_path && !current_path->empty()) text += " (" + *current_path + ")";
  throw Error(text + ": " + legible(message));
}
}  // namespace detail

ErrorScope::ErrorScope(const std::string& path) : outer_(current_path) { current_path = &path; }
ErrorScope::~ErrorScope() { current_path = outer_; }

OpScope::OpScope(std::string_view op)
    : text_(current_path && !current_path->empty() ? str(*current_path, ", ", op) : std::string(op)),
      scope_(text_) {}

}  // namespace lucid

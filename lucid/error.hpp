#pragma once
// One family of exceptions and the one helper that raises them.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lucid {

enum class DType : std::uint8_t;

/// Base of every exception the library throws. `what()` reads
/// "<op> [(<module path>)]: <what came>, <what was required>; <remedy>".
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A file or stream could not be read, parsed or written.
class IoError : public Error {
 public:
  using Error::Error;
};

/// The graph cannot be walked: it was freed, a saved tensor was changed in place, a leaf was written to.
class AutogradError : public Error {
 public:
  using Error::Error;
};

namespace detail {
void append(std::string& out, std::string_view text);
void append(std::string& out, const char* text);
void append(std::string& out, bool value);
void append(std::string& out, int value);
void append(std::string& out, unsigned value);
void append(std::string& out, long value);
void append(std::string& out, unsigned long value);
void append(std::string& out, long long value);
void append(std::string& out, unsigned long long value);
void append(std::string& out, double value);  ///< shortest text that reads back as the same double
void append(std::string& out, DType value);   ///< "float32"
/// Anything with a `str()` member: Shape, options.
template <class T>
auto append(std::string& out, const T& value) -> decltype(value.str(), void()) {
  append(out, std::string_view(value.str()));
}
[[noreturn]] void throw_error(std::string_view where, const std::string& message);
}  // namespace detail

/// Concatenates the text of its arguments: str("stride ", 2) == "stride 2".
template <class... Parts>
std::string str(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

/// Throws Error "<where>: <parts...>"; inside a layer's call, "<where> (<module path>): <parts...>".
template <class... Parts>
[[noreturn]] void raise(std::string_view where, const Parts&... parts) {
  detail::throw_error(where, str(parts...));
}

/// raise() unless `condition` holds. The message is only built on failure.
template <class... Parts>
void check(bool condition, std::string_view where, const Parts&... parts) {
  if (!condition) [[unlikely]]
    raise(where, parts...);
}

/// While alive, errors raised on this thread name `path` ("decoder.2.up"). `path` must outlive the scope.
class ErrorScope {
 public:
  explicit ErrorScope(const std::string& path);
  ~ErrorScope();
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;

 private:
  const std::string* outer_;
};

}  // namespace lucid

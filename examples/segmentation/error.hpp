#pragma once

#include <sstream>

#include "lucid/error.hpp"

namespace segment {

/// Something that a person gave (a file, a config, a flag) is wrong. The text is one line that names the
/// thing and the remedy; the program prints it and exits with code 2.
struct InputError : lucid::Error {
  using lucid::Error::Error;
};

/// Throws InputError with the parts written one after the other.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw InputError(text.str());
}

}  // namespace segment

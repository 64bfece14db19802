#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace segment {

/// The whole file. Raises InputError when it is missing, unreadable, not a regular file or longer than
/// `limit` bytes.
std::string read_text_file(const std::string& path, std::size_t limit = std::size_t{64} << 20);

/// Calls `write` with a temporary name beside `path`, then renames that file to `path`: whoever reads `path`
/// sees the old content or the new one, never a part. If `write` throws, the temporary file goes and `path`
/// stays as it was. `suffix` ends the temporary name, for writers that look at it.
template <class Write>
void replace_file(const std::string& path, Write&& write, std::string_view suffix = "");

void write_file(const std::string& path, std::string_view content);

/// RFC 4648, section 4.
std::string base64(std::span<const std::uint8_t> bytes);

namespace detail {
std::string temporary_name(const std::string& path, std::string_view suffix);
void commit_file(const std::string& temporary, const std::string& path);
void discard_file(const std::string& temporary) noexcept;
}  // namespace detail

template <class Write>
void replace_file(const std::string& path, Write&& write, std::string_view suffix) {
  const std::string temporary = detail::temporary_name(path, suffix);
  try {
    write(temporary);
    detail::commit_file(temporary, path);
  } catch (...) {
    detail::discard_file(temporary);
    throw;
  }
}

}  // namespace segment

#include "ops/option_values.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lucid/error.hpp"
#include "ops/quote.hpp"

namespace lucid::ops {

void Literal::write(nlohmann::json& out) const {
  switch (kind_) {
    case Kind::null: out = nullptr; break;
    case Kind::boolean: out = boolean_; break;
    case Kind::integer: out = integer_; break;
    case Kind::natural: out = natural_; break;
    case Kind::real: out = real_; break;
    case Kind::text: out = text(); break;
    case Kind::json: out = *json_; break;
    case Kind::integers: out = elements<std::int64_t>(); break;
    case Kind::ints: out = elements<int>(); break;
    case Kind::reals: out = elements<double>(); break;
    case Kind::list: {
      const std::span<const Literal> list = elements<Literal>();
      out = nullptr;
      if (std::ranges::all_of(list, &Literal::is_member)) {
        for (const Literal& member : list) {
          const std::span<const Literal> pair = member.elements<Literal>();
          pair[1].write(out[std::string(pair[0].text())]);
        }
      } else {
        for (const Literal& element : list) element.write(out.emplace_back());
      }
    }
  }
}

bool Literal::is_member() const {
  return kind_ == Kind::list && size_ == 2 && elements<Literal>()[0].kind_ == Kind::text;
}

OptionValues::OptionValues() = default;
OptionValues::OptionValues(Given given) : values_(std::make_shared<const nlohmann::json>(*given.values)) {}
OptionValues::OptionValues(std::initializer_list<NamedLiteral> values) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, value] : values)
    if (const std::string key(name); !object.contains(key)) value.write(object[key]);
  values_ = std::make_shared<const nlohmann::json>(std::move(object));
}
OptionValues::OptionValues(const OptionValues&) = default;
OptionValues::OptionValues(OptionValues&&) noexcept = default;
OptionValues& OptionValues::operator=(OptionValues other) noexcept {
  values_ = std::move(other.values_);
  return *this;
}
OptionValues::~OptionValues() = default;

OptionValues& OptionValues::set(std::string_view name, Literal value) {
  nlohmann::json changed = json();
  check(changed.is_object(), "option values", quote(changed), " is no object, in which \"", name,
        "\" could be set");
  value.write(changed[std::string(name)]);
  values_ = std::make_shared<const nlohmann::json>(std::move(changed));
  return *this;
}

const nlohmann::json& OptionValues::json() const {
  static const nlohmann::json none = nlohmann::json::object();
  return values_ ? *values_ : none;
}

}  // namespace lucid::ops
